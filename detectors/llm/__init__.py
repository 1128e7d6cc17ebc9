"""LLM and RAG."""
