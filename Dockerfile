# One image for every Surefoot container, so that Python, Ray and every library are the same
# everywhere; Ray refuses to join processes whose versions differ. See docker-compose.yml.
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/surefoot
WORKDIR /src
COPY requirements.lock .
RUN /opt/surefoot/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml LICENSE ./
COPY trainers trainers
COPY tuning tuning
RUN /opt/surefoot/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11.14-slim-bookworm
# A volume takes its owner from the folder it is first mounted on.
RUN useradd --uid 10001 --create-home surefoot \
    && install --directory --owner surefoot --group surefoot /var/lib/mlflow /var/lib/surefoot
COPY --from=build /opt/surefoot /opt/surefoot
COPY --chmod=755 deploy/with-secrets deploy/on-network /usr/local/bin/
# One BLAS thread: more would change the rounding, and with it the answer.
ENV PATH=/opt/surefoot/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    MKL_NUM_THREADS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    SUREFOOT_HOME=/var/lib/surefoot
USER 10001:10001
WORKDIR /var/lib/surefoot
CMD ["surefoot", "--help"]
