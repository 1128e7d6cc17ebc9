"""Services: endpoints, calls of language models, retrieval, fine-tuning and what is logged."""
