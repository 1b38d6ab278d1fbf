# docker build -t strongroom-node -f deploy/bittensor/node.Dockerfile .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
COPY examples/bittensor/requirements.txt /node/
RUN python3 -m pip install --no-cache-dir -r /node/requirements.txt
# The client is the package without any of the service's dependencies.
COPY src/strongroom/__init__.py /node/strongroom/
COPY src/strongroom/core/__init__.py src/strongroom/core/clock.py /node/strongroom/core/
COPY src/strongroom/bittensor/__init__.py /node/strongroom/bittensor/
COPY src/strongroom/bittensor/client /node/strongroom/bittensor/client
COPY examples/bittensor/*.py /node/
RUN install -d -o 65532 -g 65532 -m 0700 /state
VOLUME /state
WORKDIR /node
ENV PYTHONUNBUFFERED=1 HOME=/tmp WALLET_SERVICE_STATE=/state
USER 65532:65532
ENTRYPOINT ["python3"]
CMD ["validator.py"]
