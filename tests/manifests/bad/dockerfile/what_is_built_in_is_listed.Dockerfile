# Breaks one rule: lists the libraries of the stage that builds, and leaves the list there.
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS build
COPY requirements.lock .
RUN python -m pip install --require-hashes -r requirements.lock
RUN cyclonedx-py environment --output-file /opt/sbom.json /usr/local/bin/python
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
USER 10001
