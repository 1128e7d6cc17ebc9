"""The detectors, as a library: knows nothing of GitHub, the web or the store.

A detector is a file in one of the family folders; it imports what it needs from here.
"""

from detectors._engine.analysis import analyse
from detectors._engine.catalogue import Detector, Page, all_detectors
from detectors._engine.code import Code, Problem
from detectors._engine.events import Act, Region
from detectors._engine.finding import (
    Analysis,
    Edit,
    Finding,
    Related,
    Skipped,
    Tier,
    apply_edits,
    introduced,
)
from detectors._engine.flow import Event, Flow
from detectors._engine.libraries import Kind
from detectors._engine.loops import TrainingStep

__all__ = [
    "Act",
    "Analysis",
    "Code",
    "Detector",
    "Edit",
    "Event",
    "Finding",
    "Flow",
    "Kind",
    "Page",
    "Problem",
    "Region",
    "Related",
    "Skipped",
    "Tier",
    "TrainingStep",
    "all_detectors",
    "analyse",
    "apply_edits",
    "introduced",
]
