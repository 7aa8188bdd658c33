# vitbench on the CPU: from the root of the checkout,
#   docker build -f scripts/docker/cpu.Dockerfile -t vitbench:cpu .
FROM python:3.11-slim

# make runs everything; the runtimes' wheels bring all libraries but OpenMP's.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /vitbench
ENV EXTRA=cpu HOME=/tmp PIP_NO_CACHE_DIR=1

COPY Makefile pyproject.toml setup.py README.md LICENSE ./
COPY requirements/cpu.lock requirements/
COPY convert/ convert/
COPY runtimes/ runtimes/
COPY validate/ validate/
COPY reports/ reports/
COPY vitbench/ vitbench/

# Every package by its hash; what is not in the lock is not installed.
RUN make setup && mkdir artifacts results && chmod 777 artifacts results

ENTRYPOINT ["make"]
CMD ["bench"]
