"""What the libraries' names are: the kind of object each constructor makes.

Only origins; no code is read here. One table a kind, so that a new library is one more line.
"""

import re
from enum import Enum
from functools import cache


class Kind(Enum):
    """The field's objects."""

    OPTIMIZER = "optimizer"
    SCHEDULER = "scheduler"
    MODEL = "model"
    CRITERION = "criterion"
    SCALER = "gradient scaler"
    LOADER = "data loader"
    DATASET = "data set"
    SAMPLER = "distributed sampler"
    WRITER = "metric writer"
    LOGGER = "logger"
    ACCELERATOR = "accelerator"
    ENGINE = "training engine"
    METRIC = "metric accumulator"
    TENSOR = "tensor"
    ARRAY = "array"
    NUMBER = "number"
    TEXT = "text"
    UNKNOWN = "unknown"


_MADE_BY: tuple[tuple[Kind, str], ...] = (
    (
        Kind.SCHEDULER,
        r"torch\.optim\.lr_scheduler\.[A-Z]\w*|torch\.optim\.swa_utils\.SWALR"
        r"|transformers\.(optimization\.)?get_\w*(schedule|scheduler)\w*|diffusers\.optimization\.get_\w*schedule\w*"
        r"|timm\.scheduler\.\w+|pl_bolts\.optimizers\.lr_scheduler\.\w+",
    ),
    (
        Kind.OPTIMIZER,
        r"torch\.optim\.[A-Z]\w*|torch\.optim\._multi_tensor\.\w+"
        r"|transformers\.(optimization\.)?(AdamW|Adafactor)|bitsandbytes\.optim\.\w+|apex\.optimizers\.\w+"
        r"|apex\.contrib\.optimizers\.\w+|torch_optimizer\.[A-Z]\w*|timm\.optim\.\w+|lion_pytorch\.Lion"
        r"|deepspeed\.ops\.(adam|lamb|lion)\.\w+|pytorch_optimizer\.[A-Z]\w*|schedulefree\.\w+"
        r"|torch\.distributed\.optim\.ZeroRedundancyOptimizer|geoopt\.optim\.\w+|adabelief_pytorch\.AdaBelief",
    ),
    (
        Kind.CRITERION,
        r"torch\.nn\.\w*Loss\w*|monai\.losses\.\w+|segmentation_models_pytorch\.losses\.\w+|timm\.loss\.\w+",
    ),
    (
        Kind.MODEL,
        r"torch\.nn\.(?!Parameter|Buffer|Uninitialized|ModuleList|ModuleDict)[A-Z]\w*"
        r"|torch\.nn\.parallel\.\w*DataParallel|torch\.distributed\.fsdp\.FullyShardedDataParallel"
        r"|torchvision\.models\.(?!\w+_Weights\b)(\w+\.)*\w+|timm\.create_model|timm\.models\.create_model"
        r"|transformers\.(Auto(Model|BertForP)\w*|TFAuto\w+|\w+(Model|For[A-Z]\w*|LMHeadModel|Decoder|Encoder))(\.from_pretrained|\.from_config)?"
        r"|peft\.(get_peft_model|PeftModel\w*(\.from_pretrained)?)|sentence_transformers\.(SentenceTransformer|CrossEncoder)"
        r"|torch\.hub\.load|torch\.jit\.(script|load|trace)|segmentation_models_pytorch\.[A-Z]\w*"
        r"|torch_geometric\.nn\.[A-Z]\w*|dgl\.nn\.pytorch\.[A-Z]\w*|diffusers\.\w*(Model|2D\w*|Kernel\w*)(\.from_pretrained|\.from_config)?"
        r"|open_clip\.create_model|torch\.optim\.swa_utils\.AveragedModel|efficientnet_pytorch\.EfficientNet(\.\w+)?"
        r"|pytorch_fid\.inception\.(InceptionV3|fid_inception_v3)|facenet_pytorch\.(\w+\.)*InceptionResnetV1"
        r"|apex\.parallel\.DistributedDataParallel",
    ),
    (Kind.SCALER, r"(torch|fairscale)\.(\w+\.)*(Sharded)?GradScaler"),
    (
        Kind.LOADER,
        r"torch\.utils\.data\.DataLoader|torch_geometric\.(loader|data)\.\w*Loader|monai\.data\.(ThreadDataLoader|DataLoader)|dgl\.dataloading\.\w*DataLoader",
    ),
    (Kind.SAMPLER, r"torch\.utils\.data\.DistributedSampler"),
    (
        Kind.DATASET,
        r"torch\.utils\.data\.(TensorDataset|Subset|ConcatDataset|ChainDataset|StackDataset)|torchvision\.datasets\.\w+|datasets\.load_dataset",
    ),
    (
        Kind.WRITER,
        r"torch\.utils\.tensorboard\.SummaryWriter|tensorboardX\.SummaryWriter|tensorboard_logger\.Logger|wandb\.init|neptune\.init_run|aim\.Run",
    ),
    (
        Kind.LOGGER,
        r"logging\.getLogger|logging\.Logger|loguru\.logger|accelerate\.logging\.get_logger|transformers\.utils\.logging\.get_logger|absl\.logging",
    ),
    (Kind.ACCELERATOR, r"accelerate\.Accelerator|lightning(\.fabric)?\.Fabric|lightning_fabric\.Fabric"),
    (Kind.ENGINE, r"deepspeed\.initialize"),
    (Kind.METRIC, r"torchmetrics\.(\w+\.)*\w+|evaluate\.load|ignite\.metrics\.\w+"),
)
_KINDS = tuple((kind, re.compile(f"(?:{pattern})$")) for kind, pattern in _MADE_BY)

WRAPPERS = re.compile(
    r"torch\.nn\.(parallel\.)?\w*DataParallel$|torch\.distributed\.fsdp\.FullyShardedDataParallel$|torch\.compile$"
    r"|torch\.jit\.(script|trace)$|torch\.optim\.swa_utils\.AveragedModel$|apex\.parallel\.DistributedDataParallel$"
    r"|copy\.(deepcopy|copy)$|torch\.nn\.SyncBatchNorm\.convert_sync_batchnorm$|apex\.parallel\.convert_syncbn_model$"
    r"|peft\.get_peft_model$|peft\.prepare_model_for_kbit_training$|tqdm\.(\w+\.)*\w+$|tqdm$|rich\.progress\.track$"
)
"""Calls whose first argument keeps its kind."""

DATA_PARALLEL = re.compile(r"(torch\.nn\.parallel|apex\.parallel|torch\.nn)\.(DistributedDataParallel|DataParallel)$")

_HINTS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (Kind.SCHEDULER, re.compile(r"(^|_)(lr_?)?sched(uler)?s?(_|\d|$)|^(lr_)?warmup_?(scheduler)?$", re.I)),
    (Kind.SCALER, re.compile(r"(^|_)(grad|amp|loss)_?scaler(_|\d|$)|^scaler$", re.I)),
    (
        Kind.OPTIMIZER,
        re.compile(r"(^|_)(opt|optim|optimizer|optimiser)s?(_|\d|$)|^opt[A-Z]|Optimizer$|^(adam|sgd)$", re.I),
    ),
    (
        Kind.CRITERION,
        re.compile(r"(^|_)(criterion|criteria|loss_?(fn|func|fct|function|module|criterion))(_|\d|$)", re.I),
    ),
    (
        Kind.LOADER,
        re.compile(r"(data_?|train_?|val_?|valid_?|test_?|eval_?|dev_?)?(loader|dl)s?$|(^|_)data_?iter(ator)?$", re.I),
    ),
    (Kind.SAMPLER, re.compile(r"(distributed|dist|train|data)?_?sampler$", re.I)),
    (
        Kind.DATASET,
        re.compile(r"(^|_)(data_?set|ds)(_|\d|$)|(train|val|valid|test|eval|dev)_?(data|set|ds)$", re.I),
    ),
    (Kind.WRITER, re.compile(r"(^|_)(summary_?)?writer$|(^|_)(tb|tensorboard)(_logger|_writer)?$", re.I)),
    (Kind.LOGGER, re.compile(r"(^|_)(logger|log|logging)$", re.I)),
    (Kind.ACCELERATOR, re.compile(r"(^|_)(accelerator|fabric)$", re.I)),
    (
        Kind.MODEL,
        re.compile(
            r"(^|_)(model|net|network|module|encoder|decoder|classifier|unet|policy|backbone|generator|discriminator"
            r"|transformer|vae|actor|critic|(net|model)[gd]?|ddp_model)(_|\d|$)|[a-z](Net|Model)$",
            re.I,
        ),
    ),
)


_OF_MODEL = re.compile(
    r"(tokeni[sz]er|processor|config|cfg|args|path|validator|checker|factory|builder|_name|_file|_dir|_cls|_class|_type)$",
    re.I,
)
"""What belongs to a model and is none: `encoder_tokenizer`, `module_validator`."""

OTHER_FRAMEWORKS = frozenset(
    """
    paddle mxnet tensorflow jax flax optax haiku equinox mlx oneflow mindspore chainer cupy warp warp_nn MNN tinygrad
    """.split()
)
"""Packages with gradients, modes and steps of their own, which are not PyTorch's."""


@cache
def kind_made_by(origin: str) -> Kind:
    """The kind of object a call of this origin makes; UNKNOWN where no table has it."""
    for kind, pattern in _KINDS:
        if pattern.match(origin):
            return kind
    return Kind.UNKNOWN


@cache
def kind_suggested_by(name: str) -> Kind:
    """The kind a variable's name suggests: weak evidence, enough to silence, not to fire alone."""
    for kind, pattern in _HINTS:
        if pattern.search(name):
            return Kind.UNKNOWN if kind is Kind.MODEL and _OF_MODEL.search(name) else kind
    return Kind.UNKNOWN
