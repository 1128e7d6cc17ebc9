"""What is known of the services in a file and of the language models that it tunes, runs and asks."""

from functools import cached_property

from detectors._engine.file import File
from detectors._engine.services.endpoints import Endpoints
from detectors._engine.services.fallbacks import Fallbacks
from detectors._engine.services.finetuning import Finetuning
from detectors._engine.services.inference import Inference
from detectors._engine.services.llm_calls import LlmCalls
from detectors._engine.services.llm_servers import LlmServers
from detectors._engine.services.retrieval import Retrieval
from detectors._engine.tensors.masks import Masks


class ServiceAnswers(File):
    """Endpoints, calls of language models, retrieval, fine-tuning."""

    @cached_property
    def endpoints(self) -> Endpoints:
        """What a server runs for each request."""
        return Endpoints(self.tree, self.names, self.values, self.packages)

    @cached_property
    def llm_calls(self) -> LlmCalls:
        """Clients and calls of language models."""
        return LlmCalls(self.tree, self.names, self.values)

    @cached_property
    def llm_servers(self) -> LlmServers:
        """Where the language models are that clients ask."""
        return LlmServers(self.names, self.values)

    @cached_property
    def fallbacks(self) -> Fallbacks:
        """Endpoints and the failures of the models that they call."""
        return Fallbacks(self.text, self.unit, self.endpoints, self.llm_calls)

    @cached_property
    def inference(self) -> Inference:
        """Where weights are loaded and models are run."""
        return Inference(self.tree, self.names, self.values, self.llm_calls)

    @cached_property
    def retrieval(self) -> Retrieval:
        """Splitters, retrievers and rerankers."""
        return Retrieval(self.tree, self.names, self.values)

    @cached_property
    def finetuning(self) -> Finetuning:
        """Tokenizers, models, Trainers and adapters."""
        return Finetuning(self.tree, self.names, self.values, self.definitions, self.versions)

    @cached_property
    def masks(self) -> Masks:
        """Attention masks that are in hand and not given."""
        return Masks(self.tree, self.names, self.values)
