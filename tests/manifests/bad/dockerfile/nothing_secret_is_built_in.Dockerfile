# Breaks one rule: a password stays in the history of the image.
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS build
ARG INDEX_PASSWORD
COPY requirements.lock .
RUN python -m pip install --require-hashes -r requirements.lock
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
USER 10001
