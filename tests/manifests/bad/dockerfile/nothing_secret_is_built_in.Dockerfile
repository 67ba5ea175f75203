# Breaks one rule: a password stays in the history of the image.
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS build
ARG INDEX_PASSWORD
COPY requirements.lock .
RUN python -m pip install --require-hashes -r requirements.lock
RUN /opt/listing/bin/cyclonedx-py environment --output-file /opt/sbom.json /opt/venv/bin/python
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/sbom.json /town/sbom.json
USER 10001
