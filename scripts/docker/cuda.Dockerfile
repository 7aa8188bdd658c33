# vitbench on NVIDIA GPUs: from the root of the checkout,
#   docker build -f scripts/docker/cuda.Dockerfile -t vitbench:cuda .
# CUDA and cuDNN are wheels of the lock. The driver's library comes from the host, by the NVIDIA Container Toolkit.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /vitbench
ENV EXTRA=cuda HOME=/tmp PIP_NO_CACHE_DIR=1
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

COPY Makefile pyproject.toml setup.py README.md LICENSE ./
COPY requirements/cuda.lock requirements/
COPY convert/ convert/
COPY runtimes/ runtimes/
COPY validate/ validate/
COPY reports/ reports/
COPY vitbench/ vitbench/

RUN make setup && mkdir artifacts results && chmod 777 artifacts results

ENTRYPOINT ["make"]
CMD ["bench"]
