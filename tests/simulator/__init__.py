"""A GitHub that keeps GitHub's rules, over HTTP on the loopback

```python
with Simulator() as github:
    repository = github.repository("octo-org/train", files={"train.py": "print(1)\n"})
    pull = repository.open_pull_request({"train.py": "print(2)\n"}, author="contributor")
    ...  # point a bot or PyGithub at github.url
    assert pull.state()["reviews"] == []
```
"""

from tests.simulator.hosting import HostedRepository
from tests.simulator.objects import Executable, Submodule, Symlink
from tests.simulator.people import OpenedPullRequest
from tests.simulator.recording import Exchange
from tests.simulator.simulator import PERMISSIONS, InstalledApp, Simulator
from tests.simulator.webhooks import Delivery

__all__ = [
    "PERMISSIONS",
    "Delivery",
    "Exchange",
    "Executable",
    "HostedRepository",
    "InstalledApp",
    "OpenedPullRequest",
    "Simulator",
    "Submodule",
    "Symlink",
]
