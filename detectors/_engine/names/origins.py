"""Origins: one dotted name for each thing of a library, whatever module of it an import names."""

from functools import cache

_CANONICAL = (
    ("torch.nn.modules.", "torch.nn."),
    ("torch.optim.optimizer.", "torch.optim."),
    ("torch.utils.data.dataloader.", "torch.utils.data."),
    ("torch.utils.data.dataset.", "torch.utils.data."),
    ("torch.utils.data.sampler.", "torch.utils.data."),
    ("torch.utils.data.distributed.", "torch.utils.data."),
    ("torch.nn.parallel.distributed.", "torch.nn.parallel."),
    ("torch.autograd.grad_mode.", "torch."),
    ("torch.cuda.amp.grad_scaler.", "torch.cuda.amp."),
    ("torch.cuda.amp.autocast_mode.", "torch.cuda.amp."),
    ("torch.utils.tensorboard.writer.", "torch.utils.tensorboard."),
    ("pytorch_lightning.", "lightning.pytorch."),
    ("lightning.pytorch.core.module.", "lightning.pytorch."),
    ("sklearn.preprocessing._data.", "sklearn.preprocessing."),
    ("sklearn.cross_validation.", "sklearn.model_selection."),
    ("sklearn.grid_search.", "sklearn.model_selection."),
)
_TORCH_SUBMODULE = {
    module: package
    for package, modules in {
        "torch.optim": "adadelta adagrad adam adamw adamax asgd lbfgs nadam radam rmsprop rprop sgd sparse_adam",
        "torch.nn": (
            "activation adaptive batchnorm container conv distance dropout embedding fold instancenorm linear loss "
            "module normalization padding pooling rnn sparse transformer"
        ),
    }.items()
    for module in (f"{package}.{each}" for each in modules.split())
}


@cache
def canonical(origin: str) -> str:
    """The origin people write: `torch.optim.adam.Adam` is `torch.optim.Adam`."""
    for private, public in _CANONICAL:
        if origin.startswith(private):
            origin = public + origin[len(private) :]
    module, _, last = origin.rpartition(".")
    return f"{_TORCH_SUBMODULE[module]}.{last}" if module in _TORCH_SUBMODULE else origin
