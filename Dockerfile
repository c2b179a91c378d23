# syntax=docker/dockerfile:1
# ProSAM in a container: `prosam api` on port 7861, or any other command of prosam. See docs/http-service.md.
#
#   docker build -t prosam .                       # for a CPU
#   docker build -t prosam:cuda --target cuda .    # for an NVIDIA GPU

FROM python:3.12.11-slim-bookworm AS python
ENV PATH=/opt/prosam/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1


# The environment: the versions of requirements.lock, of what the commands need and nothing else.
FROM python AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    VIRTUAL_ENV=/opt/prosam
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --disable-pip-version-check uv==0.13.9 \
    && uv venv /opt/prosam
WORKDIR /source
COPY pyproject.toml requirements.lock ./

# torch as the package index has it, with NVIDIA's libraries: 5 GB
FROM build AS build-cuda
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --constraints requirements.lock --requirements pyproject.toml --extra demo --extra video
COPY README.md LICENSE ./
COPY prosam prosam
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --no-deps .

# TORCH_INDEX is the address of PyTorch's index of builds for the CPU, which pytorch.org names. Those builds have other
# digests than requirements.lock. Without an address, this stage gives the same as build-cuda.
FROM build AS build-cpu
ARG TORCH_INDEX=""
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --constraints requirements.lock --requirements pyproject.toml --extra demo --extra video \
        ${TORCH_INDEX:+--index "$TORCH_INDEX" --no-verify-hashes}
COPY README.md LICENSE ./
COPY prosam prosam
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --no-deps .


# What runs: no compiler, no package manager of its own, and a user without rights.
FROM python AS run
RUN useradd --uid 10001 --create-home prosam
USER 10001
WORKDIR /home/prosam
EXPOSE 7861
# other commands than `prosam api` have no port: pass --no-healthcheck to docker run
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7861/health', timeout=4)"]
ENTRYPOINT ["prosam"]
CMD ["api", "--host", "0.0.0.0"]


FROM run AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-cuda /opt/prosam /opt/prosam

FROM run AS cpu
COPY --from=build-cpu /opt/prosam /opt/prosam
