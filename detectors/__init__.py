"""The detectors, as a library: knows nothing of GitHub, the web or the store.

A detector is a file in one of the family folders; it imports what it needs from here.
"""

from detectors._engine.analysis import analyse
from detectors._engine.catalogue import Detector, Page, all_detectors
from detectors._engine.code import Code
from detectors._engine.data.draws import RandomSplit
from detectors._engine.data.estimators import REGRESSOR
from detectors._engine.data.loaders import Loader, Style
from detectors._engine.data.preprocessing import Fit, Leak, Learns
from detectors._engine.data.provenance import root_of
from detectors._engine.data.splits import By, Part, Split, is_some_rows, part_named
from detectors._engine.flow.events import Act, Region
from detectors._engine.flow.flow import Event, Flow
from detectors._engine.flow.hidden import gives_gradients, is_bookkeeping, may_use
from detectors._engine.flow.loops import TrainingStep, common_loop
from detectors._engine.flow.paths import Undecided
from detectors._engine.names.bindings import Binding, Bound
from detectors._engine.names.libraries import Kind, kind_made_by, kind_suggested_by
from detectors._engine.names.neighbours import Repository, imported_modules, module_paths
from detectors._engine.names.subjects import last_name, without_methods
from detectors._engine.names.versions import LIBRARIES, NOT_PINNED, Pin, Versions, release_of
from detectors._engine.secrecy.redaction import redaction_of
from detectors._engine.secrecy.secrets import PREFIXES as SECRET_PREFIXES
from detectors._engine.secrecy.secrets import without_keys
from detectors._engine.services.endpoints import SERVERS, Endpoint
from detectors._engine.services.finetuning import Encoding
from detectors._engine.services.llm_calls import LLM_LIBRARIES, LlmCall
from detectors._engine.services.messages import is_built, lazy_form, placeholders
from detectors._engine.services.retrieval import EVALUATES, RERANKS, STORES, Length, Splitter
from detectors._engine.services.time_limits import client_limit, waits_long
from detectors._engine.source.finding import (
    Analysis,
    Edit,
    Finding,
    Related,
    Skipped,
    Tier,
    apply_edits,
    introduced,
)
from detectors._engine.source.mend import Change
from detectors._engine.source.problems import Problem
from detectors._engine.source.tree import FUNCTIONS, Function, Loop
from detectors._engine.source.words import Words
from detectors._engine.tensors.activations import Activation, Applied, Loss
from detectors._engine.tensors.columns import Column
from detectors._engine.tensors.tensors import Graph
from detectors._engine.training.accumulation import Interval, speaks_of_accumulation
from detectors._engine.training.detached_runs import DetachedRun
from detectors._engine.training.generations import GRADIENT_WORDS, WANTS_GRADIENTS
from detectors._engine.training.passes import DISCRETE, EvaluationPass, TrainingPass, covers
from detectors._engine.training.ranks import speaks_of_distribution
from detectors._engine.training.saved_modes import SavedMode
from detectors._engine.training.schedules import Schedule, Unit
from detectors._engine.training.updates import Update
from detectors._engine.values.value import Value

__all__ = [
    "DISCRETE",
    "EVALUATES",
    "FUNCTIONS",
    "GRADIENT_WORDS",
    "LIBRARIES",
    "LLM_LIBRARIES",
    "NOT_PINNED",
    "REGRESSOR",
    "RERANKS",
    "SECRET_PREFIXES",
    "SERVERS",
    "STORES",
    "WANTS_GRADIENTS",
    "Act",
    "Activation",
    "Analysis",
    "Applied",
    "Binding",
    "Bound",
    "By",
    "Change",
    "Code",
    "Column",
    "DetachedRun",
    "Detector",
    "Edit",
    "Encoding",
    "Endpoint",
    "EvaluationPass",
    "Event",
    "Finding",
    "Fit",
    "Flow",
    "Function",
    "Graph",
    "Interval",
    "Kind",
    "Leak",
    "Learns",
    "Length",
    "LlmCall",
    "Loader",
    "Loop",
    "Loss",
    "Page",
    "Part",
    "Pin",
    "Problem",
    "RandomSplit",
    "Region",
    "Related",
    "Repository",
    "SavedMode",
    "Schedule",
    "Skipped",
    "Split",
    "Splitter",
    "Style",
    "Tier",
    "TrainingPass",
    "TrainingStep",
    "Undecided",
    "Unit",
    "Update",
    "Value",
    "Versions",
    "Words",
    "all_detectors",
    "analyse",
    "apply_edits",
    "client_limit",
    "common_loop",
    "covers",
    "gives_gradients",
    "imported_modules",
    "introduced",
    "is_bookkeeping",
    "is_built",
    "is_some_rows",
    "kind_made_by",
    "kind_suggested_by",
    "last_name",
    "lazy_form",
    "may_use",
    "module_paths",
    "part_named",
    "placeholders",
    "redaction_of",
    "release_of",
    "root_of",
    "speaks_of_accumulation",
    "speaks_of_distribution",
    "waits_long",
    "without_keys",
    "without_methods",
]
