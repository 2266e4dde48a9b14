# Runs the demo: docker build -t equipoise . && docker run --rm -v "$PWD/runs:/runs" equipoise
# TORCH_INDEX names the index of torch's CPU builds, which spare gigabytes of CUDA.
FROM python:3.11-slim
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=
WORKDIR /equipoise
COPY constraints.txt .
RUN pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"
COPY pyproject.toml README.md LICENSE ./
COPY equipoise equipoise
RUN pip install --no-cache-dir -c constraints.txt . && useradd --create-home user && mkdir /runs \
    && chown user /runs
USER user
WORKDIR /home/user
ENTRYPOINT ["equipoise"]
CMD ["demo", "--out", "/runs/demo"]
