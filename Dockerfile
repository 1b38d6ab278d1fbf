# docker build -t strongroom:0.1.0 --build-arg COMMIT="$(git rev-parse HEAD)" .
# The base may be pinned by digest: --build-arg PYTHON_IMAGE=python@sha256:...
# With what keys in AWS KMS or an HSM need: --build-arg REQUIREMENTS=key-backends; with what traces need: =traces
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG PREFIX=/opt/strongroom
ARG REQUIREMENTS=runtime

FROM ${PYTHON_IMAGE} AS builder
ARG PREFIX
ARG REQUIREMENTS
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /build
COPY requirements/runtime.txt requirements/key-backends.txt requirements/traces.txt requirements/build.txt requirements/
# The environment gets no pip of its own: the image that runs cannot install anything into it.
RUN python3 -m venv --without-pip "$PREFIX" && python3 -m pip --python "$PREFIX/bin/python3" install --require-hashes --no-deps -r "requirements/$REQUIREMENTS.txt"
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src/strongroom src/strongroom
# What `strongroom --version` tells; history is not part of the build's context. Here, because a new value runs all steps below anew.
ARG COMMIT=
RUN python3 -m pip install --require-hashes --no-deps -r requirements/build.txt && STRONGROOM_COMMIT="$COMMIT" python3 -m pip wheel --no-build-isolation --no-deps --wheel-dir dist . && python3 -m pip --python "$PREFIX/bin/python3" install --no-deps dist/*.whl
# A compiler that fails leaves a wheel without the native proof-of-work search: no image then.
RUN "$PREFIX/bin/python3" -c "from strongroom.atto.gateway.work_engines import load_engine; assert load_engine().name == 'native'"

FROM ${PYTHON_IMAGE} AS service
ARG PREFIX
COPY --from=builder ${PREFIX} ${PREFIX}
# Whichever user it runs as may write there, and read what is his own alone: files are made with mode 0600.
RUN install -d -m 1777 /data
# 0.0.0.0 is refused until ATTO_REQUIRE_TOKEN or STRONGROOM_ALLOW_UNAUTHENTICATED says that it is meant.
ENV PATH=${PREFIX}/bin:${PATH}
ENV STRONGROOM_HOST=0.0.0.0
ENV STRONGROOM_DATA=/data
ENV LOG_FORMAT=json
VOLUME /data
# Atto, Hathor and its WebSocket, Bittensor; health and metrics, admin API.
EXPOSE 8080 3000 3001 8000 8081 8088
USER 65532:65532
# Alive or not is for the supervisor to see: this says whether it can serve, and needs no program but its own.
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=6 CMD ["strongroom", "health"]
ENTRYPOINT ["strongroom"]
CMD ["serve"]

# docker build --target sandbox: the service with the local networks beside it, to try it with. The image without a target has none.
FROM builder AS sandbox-builder
ARG PREFIX
COPY src/strongroom_sandbox src/strongroom_sandbox
RUN python3 -m pip wheel --no-build-isolation --no-deps --wheel-dir dist ./src/strongroom_sandbox && python3 -m pip --python "$PREFIX/bin/python3" install --no-deps dist/strongroom_sandbox-*.whl

FROM service AS sandbox
ARG PREFIX
COPY --from=sandbox-builder ${PREFIX} ${PREFIX}

FROM service
