# Every process of Cosmo Streams; the argument says which: `worker ingest`, `lookup serve` … Without the parts of the
# local stack (Kafka, Valkey, llama.cpp) and without development tools: those are containers of their own, or elsewhere.
FROM python:3.12-slim
WORKDIR /opt/cosmo
COPY requirements-bootstrap.txt requirements-service.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-bootstrap.txt \
 && uv pip install --system --no-cache --require-hashes -r requirements-service.txt
COPY . .
RUN uv pip install --system --no-cache --no-deps --no-build-isolation --editable . \
 && useradd --uid 10001 cosmo \
 && install --directory --owner cosmo /var/lib/cosmo
USER 10001
ENV COSMO_HOME=/var/lib/cosmo
ENTRYPOINT ["cosmo"]
