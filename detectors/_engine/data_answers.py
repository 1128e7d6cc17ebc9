"""What is known of a file's data: where it comes from, how it is drawn and divided, and what its dimensions are."""

from functools import cached_property

from detectors._engine.data.draws import Draws
from detectors._engine.data.estimators import Estimators
from detectors._engine.data.loaders import Loaders
from detectors._engine.data.preprocessing import Preprocessing
from detectors._engine.data.provenance import Provenance
from detectors._engine.data.seeds import Seeds
from detectors._engine.data.splits import Splits
from detectors._engine.tensors.activations import Activations
from detectors._engine.tensors.axes import Axes
from detectors._engine.tensors.axis_uses import AxisUses
from detectors._engine.tensors.choices import Choices
from detectors._engine.tensors.columns import Columns
from detectors._engine.tensors.distributions import Distributions
from detectors._engine.tensors.row_pairs import RowPairs
from detectors._engine.tensors.shapes import Shapes
from detectors._engine.training_answers import TrainingAnswers
from detectors._engine.values.options import Options


class DataAnswers(TrainingAnswers):
    """Splits, seeds, loaders, and the dimensions of what a model gives."""

    @cached_property
    def provenance(self) -> Provenance:
        """Where data comes from."""
        return Provenance(self.tree, self.names, self.values)

    @cached_property
    def splits(self) -> Splits:
        """Where data is divided into train, validation and test parts."""
        return Splits(self.tree, self.names, self.values, self.provenance)

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Transformers that learn from data, and where they are fitted."""
        return Preprocessing(self.tree, self.names, self.values, self.provenance, self.splits)

    @cached_property
    def estimators(self) -> Estimators:
        """Models that fit and predict, and the parts they are trained and measured on."""
        return Estimators(self.tree, self.names, self.values, self.splits, self.preprocessing)

    @cached_property
    def seeds(self) -> Seeds:
        """What sets seeds, who holds one and who asks for one."""
        return Seeds(self.tree, self.names, self.values)

    @cached_property
    def draws(self) -> Draws:
        """Which calls take random numbers."""
        return Draws(self.tree, self.names, self.values, self.modules, lambda: self.training_steps)

    @cached_property
    def loaders(self) -> Loaders:
        """The data loaders this file makes."""
        return Loaders(self.tree, self.names, self.values, lambda: self.training_steps)

    @cached_property
    def options(self) -> Options:
        """What this file offers on its command line."""
        return Options(self.tree, self.values)

    @cached_property
    def activations(self) -> Activations:
        """What was applied last to a tensor, and the losses that take it."""
        return Activations(self.unit)

    @cached_property
    def shapes(self) -> Shapes:
        """What comments and docstrings say of dimensions."""
        return Shapes(self.text, self.tree)

    @cached_property
    def axes(self) -> Axes:
        """Whether dimension 0 of a tensor counts examples."""
        return Axes(self.tree, self.names, self.values, self.activations, self.shapes)

    @cached_property
    def row_pairs(self) -> RowPairs:
        """What choices along dimension 0 are used with that has an entry for each row."""
        return RowPairs(self.tree, self.names, self.axes)

    @cached_property
    def axis_uses(self) -> AxisUses:
        """What is done with results along dimension 0."""
        return AxisUses(self.tree, self.names, self.activations, self.axes, self.shapes)

    @cached_property
    def distributions(self) -> Distributions:
        """Along which dimension the entries of one distribution lie."""
        return Distributions(self.tree, self.names, self.activations, self.axes, self.shapes)

    @cached_property
    def choices(self) -> Choices:
        """What the results of argmaxes are used for."""
        return Choices(self.tree, self.names, self.axes)

    @cached_property
    def columns(self) -> Columns:
        """Which tensors are `(N, 1)` and which `(N,)`."""
        return Columns(self.names, self.values, self.activations, self.splits)
