# lastgood in a container: hash-locked, not root, fit for a read-only root file system.
#
#   docker build -t lastgood .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v lastgood-state:/var/lib/lastgood -v "$PWD/lastgood.yaml:/etc/lastgood/lastgood.yaml:ro" \
#     -v "$PWD/tokens:/etc/lastgood/tokens:ro" lastgood
#
# It writes to /var/lib/lastgood and nowhere else. Build with --format docker where the builder's default format is OCI,
# which drops HEALTHCHECK.

# Any Debian image with Python 3.11 or newer; both stages share it, so that the environment's python stays where it is.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /build
# The dependencies first: they change more rarely than the code, and the layer is kept.
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv /opt/lastgood \
 && /opt/lastgood/bin/python -m pip install --require-hashes --only-binary :all: -r requirements.lock \
 && python3 -m venv /opt/build \
 && /opt/build/bin/python -m pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY daemon ./daemon
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/lastgood/bin/python -m pip install --no-deps --no-index dist/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="lastgood" \
      org.opencontainers.image.description="Takes Vercel production back to the last good deployment, and proves that it helped" \
      org.opencontainers.image.licenses="Apache-2.0"
# A fixed number, so that a volume's owner and a pod's runAsUser can name it.
RUN groupadd --gid 10001 lastgood \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/lastgood --shell /usr/sbin/nologin lastgood \
 && install -d -o lastgood -g lastgood -m 0700 /var/lib/lastgood \
 && install -d -m 0755 /etc/lastgood
COPY --from=build /opt/lastgood /opt/lastgood
ENV PATH=/opt/lastgood/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/lastgood
VOLUME ["/var/lib/lastgood"]
USER 10001:10001
EXPOSE 9464
# Alive means that the daemon answers, not that Vercel does: a restart would cure only the former.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import sys, urllib.request as r; sys.exit(r.urlopen('http://127.0.0.1:9464/healthz', timeout=4).status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lastgood"]
CMD ["run", "--config", "/etc/lastgood/lastgood.yaml"]
