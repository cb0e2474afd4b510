# Server, trainer, offline tool and client, with the bundled model: 0.6 GB, of it LibTorch 0.46; with CUDA=1 about 4 GB.
#
#   docker build -t sparsefusion .
#   docker build -t sparsefusion:cuda --build-arg CUDA=1 .
#   docker run --rm -p 127.0.0.1:8000:8000 -v models:/models --read-only --tmpfs /tmp sparsefusion
#
# JOBS bounds the compilers at work (all cores; each takes up to 2 GB). Behind a mirror: a BASE_IMAGE whose apt and pip are
# set to it, and --build-arg PIP_INDEX_URL=...; proxies as docker does always. scripts/image-check builds and tries all this.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS build
ARG CUDA=0
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV SPARSEFUSION_CACHE=/opt/sparsefusion
WORKDIR /src
# Dependencies first: they change seldom, and this layer is kept while our sources change.
COPY scripts/setup scripts/setup
COPY scripts/pins scripts/pins
COPY deploy/add-cuda deploy/add-cuda
RUN scripts/setup --serve && if [ "$CUDA" = 1 ]; then deploy/add-cuda; fi
COPY . .
ARG JOBS
RUN --mount=type=cache,target=/root/.cache/ccache \
    if [ "$CUDA" = 1 ]; then preset=cuda; else preset=release; fi \
 && cmake --preset "$preset" -DSF_TESTS=OFF -DSF_UNITY=ON "-DSF_PARTS=engine;proto;trainer;tools;server;client" \
 && cmake --build --preset "$preset" -j "${JOBS:-$(nproc)}" \
 && deploy/stage-image "build/$preset" /stage

FROM ${BASE_IMAGE} AS runtime
COPY --from=build /stage/packages.txt /usr/local/share/sparsefusion/packages.txt
# hadolint ignore=DL3008  # the versions are the base image's release
RUN apt-get update -qq \
 && xargs -a /usr/local/share/sparsefusion/packages.txt env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* \
 && install -d -o 10001 -g 10001 /models /models/store
# LibTorch changes with its pin only, our programs with every build: a layer each.
COPY --from=build /stage/libraries/ /
COPY --from=build /stage/root/ /
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="SparseFusion" \
      org.opencontainers.image.description="Questions about images, answered by a mixture-of-experts visual language model" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="debian:bookworm-slim"
# What HOME is for (the cache of compiled CUDA kernels) goes where a read-only root has a tmpfs.
ENV HOME=/tmp
USER 10001:10001
VOLUME /models
EXPOSE 8000 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --retries=3 --start-period=120s CMD ["/usr/local/bin/sparsefusion", "health", "--ready"]
ENTRYPOINT ["/usr/local/bin/sparsefusion-server"]
CMD ["--model=/models/store", "--seed-model=/usr/local/share/sparsefusion/models/demo", "--host=0.0.0.0"]
