# Breaks one rule: whatever 3.11 is today.
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
COPY requirements.lock .
RUN python -m pip install --require-hashes -r requirements.lock
RUN /opt/listing/bin/cyclonedx-py environment --output-file /opt/sbom.json /opt/venv/bin/python
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/sbom.json /town/sbom.json
USER 10001
