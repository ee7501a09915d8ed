# A controller beside the workers of a worker image: what `compose.yaml` starts. The context is the checkout.
ARG WORKER_IMAGE
FROM ${WORKER_IMAGE}
ARG PIP_ARGS=""
USER root
# build/wheels may hold packages for builders without a network; it need not be there.
COPY pyproject.toml constraints.txt build/wheel[s] /build/
RUN python3 -m venv --copies /opt/controller \
 && /opt/controller/bin/python -c "import tomllib; found = tomllib.load(open('/build/pyproject.toml', 'rb')); \
print('\n'.join(line for line in found['project']['dependencies'] if not line.startswith('PySide6')))" > /build/requirements.txt \
 && PYTHONPATH= /opt/controller/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-input \
      --progress-bar=off --find-links /build ${PIP_ARGS} -c /build/constraints.txt -r /build/requirements.txt \
 && rm -rf /build
COPY engine/ /opt/forge/engine/
COPY resources/ /opt/forge/resources/
RUN /opt/controller/bin/python -m compileall -q /opt/forge/engine
ENV FORGE_WORKER_PYTHON=/opt/venv/bin/python FORGE_HOME=/job
USER 10001:10001
CMD ["/opt/controller/bin/python", "-m", "engine.control", "--foreground"]
# It is made from a worker image, but is none.
LABEL org.opencontainers.image.title="LoRAForge controller" forge.protocol=""
