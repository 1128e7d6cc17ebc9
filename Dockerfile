# One image for `serve` (the default, all in one), `web` and `worker`.
ARG BASE_IMAGE=python:3.14-slim

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/mlstaff
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
# The dependencies are a layer of their own: a change of ours does not fetch them again.
RUN mkdir app detectors templates \
    && /opt/mlstaff/bin/pip install . \
    && /opt/mlstaff/bin/pip uninstall --yes mlstaff
COPY app app
COPY detectors detectors
COPY templates templates
RUN /opt/mlstaff/bin/pip install --no-deps .

FROM ${BASE_IMAGE}
COPY --from=build /opt/mlstaff /opt/mlstaff
ENV PATH=/opt/mlstaff/bin:$PATH \
    HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    MLSTAFF_HOST=0.0.0.0 \
    MLSTAFF_PORT=8000 \
    MLSTAFF_DATA_DIR=/data
RUN install --directory --mode 700 --owner 10001 --group 10001 /data
VOLUME /data
WORKDIR /data
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["python", "-m", "app.health"]
ENTRYPOINT ["mlstaff"]
CMD ["serve"]
