"""The process group is never destroyed

A script that ends with its process group open leaves NCCL's threads and communicators to the interpreter's shutdown:
PyTorch warns, and ranks that end at different times can hang or fail after the work is done.

❌
```python
import torch.distributed as dist


def main():
    dist.init_process_group("nccl")  # ❌
    train()


if __name__ == "__main__":
    main()
```

✅
```python
import torch.distributed as dist


def main():
    dist.init_process_group("nccl")
    train()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
```

https://docs.pytorch.org/docs/stable/distributed.html#shutdown
"""

from collections.abc import Iterator

from detectors import Code, Problem, Tier

TIER = Tier.ADVICE
WORDS = ("init_process_group", "__main__|spawn")


def detect(code: Code) -> Iterator[Problem]:
    """`init_process_group` in a script that never destroys the group."""
    if "destroy_process_group" in code.text or code.is_test:
        return
    for call in code.ranks.groups[:1]:
        yield code.problem(
            call,
            f"`{code.name(call.func)}` opens a process group, and nothing here calls `destroy_process_group()`.",
        )
