# Breaks one rule: whatever 3.11 is today.
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
COPY requirements.lock .
RUN python -m pip install --require-hashes -r requirements.lock
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
USER 10001
