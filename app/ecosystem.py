"""The field's packages by import name: a file that imports one of them is machine-learning code."""

import re

_PACKAGES = """
    torch torchvision torchaudio torchtext torchmetrics torchdata torchtune torchrl torchao
    functorch ignite lightning pytorch_lightning lightning_fabric litgpt skorch fastai composer
    kornia albumentations monai timm segmentation_models_pytorch ultralytics detectron2 mmcv mmdet
    mmengine open_clip dgl gpytorch botorch pyro transformers diffusers peft trl accelerate optimum
    setfit sentence_transformers huggingface_hub tokenizers safetensors sentencepiece tiktoken
    bitsandbytes unsloth axolotl auto_gptq flash_attn xformers apex deepspeed fairscale megatron
    colossalai horovod llmcompressor tensorflow tensorflow_datasets tensorflow_hub tflite_runtime
    keras keras_cv keras_nlp keras_tuner tf_keras jax jaxlib flax optax orbax chex equinox numpyro
    pymc mlx mlx_lm tinygrad paddle mxnet sklearn imblearn skops category_encoders xgboost lightgbm
    catboost ngboost cuml cudf dask_ml autogluon pycaret tpot prophet gluonts darts sktime surprise
    implicit lightfm river shap lime optuna hyperopt spacy gensim nltk flair stanza allennlp fairseq
    fasttext speechbrain nemo whisper espnet gym gymnasium stable_baselines3 pettingzoo langchain
    langgraph langsmith langfuse llama_index llama_cpp ctransformers dspy semantic_kernel autogen
    crewai pydantic_ai litellm openai anthropic cohere mistralai groq ollama replicate vertexai vllm
    sglang lmdeploy text_generation exllamav2 tritonclient tensorrt tensorrt_llm onnx onnxruntime
    openvino coremltools triton cupy pynvml faiss chromadb pinecone qdrant_client weaviate pymilvus
    lancedb pgvector rank_bm25 ragas trulens deepeval lm_eval giskard evidently whylogs deepchecks
    mlflow wandb comet_ml neptune clearml dvclive tensorboard tensorboardX zenml metaflow kfp
    bentoml feast sagemaker
"""
PACKAGES = frozenset(_PACKAGES.split())
"""First parts of import names that mean machine learning wherever they stand."""

_OTHERS = """
    numpy pandas polars scipy matplotlib seaborn plotly bokeh altair PIL cv2 imageio skimage
    tifffile h5py zarr pyarrow fsspec s3fs gcsfs boto3 botocore google azure requests httpx aiohttp
    urllib3 websockets yaml toml ruamel orjson ujson jsonlines omegaconf hydra absl fire click typer
    rich tqdm loguru colorama tabulate termcolor psutil joblib dill cloudpickle pytest hypothesis
    mock attr attrs pydantic pydantic_settings dataclasses_json marshmallow typing_extensions einops
    jaxtyping numba networkx sympy statsmodels fastapi starlette uvicorn flask django gradio
    streamlit celery redis sqlalchemy psycopg2 pymongo dotenv jinja2 packaging setuptools
    pkg_resources regex ftfy unidecode bs4 lxml markdown librosa soundfile sox av decord rasterio
    shapely geopandas rdkit Bio mpi4py ray dask pyspark nibabel SimpleITK pydicom tensorboard_logger
    prettytable git IPython ipywidgets nbformat
"""
OTHERS = frozenset(_OTHERS.split())
"""Import names of packages of other fields: modules of no repository's own."""

SUBPACKAGES = (
    "google.generativeai",
    "google.genai",
    "google.cloud.aiplatform",
    "numba.cuda",
    "pyspark.ml",
    "pyspark.mllib",
    "ray.rllib",
    "ray.serve",
    "ray.train",
    "ray.tune",
)
"""Parts of larger packages that are not about machine learning as a whole."""

FAMILIES = ("langchain_", "llama_index_", "torch_")
"""First parts that begin like this belong to a family of plug-ins."""

AMBIGUOUS = {
    "datasets": re.compile(r"\b(?:load_dataset|load_from_disk|DatasetDict|IterableDataset|Dataset\.from_\w+)\b"),
    "evaluate": re.compile(r"\bevaluate\.(?:load|combine|evaluator)\b"),
    "haystack": re.compile(r"\bhaystack\.(?:components|nodes|document_stores)\b|\bimport (?:Pipeline|Document)\b"),
}
"""Names that projects also give modules of their own (or Django its search), and what tells."""

IDIOMS = (
    ".backward(",
    ".zero_grad(",
    "no_grad(",
    "inference_mode(",
    "nn.Module",
    ".from_pretrained(",
    ".load_state_dict(",
    ".state_dict()",
    "DataLoader(",
    "train_test_split(",
    ".fit_transform(",
    "optimizer.step(",
)
"""Calls that only ML code makes: for files that import the library through their own project."""

FEEDS_MODEL = re.compile(
    r"\b(?:[Xy]_?train|train_df|train_data|training_data|train_set|training_set|feature_store|feature_names"
    r"|embeddings?|tokeniz\w+)\b"
)
"""Names by which a data analysis says that it feeds a model."""
