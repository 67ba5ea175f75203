# Breaks one rule: a compiler stays in the image.
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS build
COPY requirements.lock .
RUN python -m pip install --require-hashes -r requirements.lock
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
RUN apt-get install -y gcc
USER 10001
