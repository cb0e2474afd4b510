# The CPU image: server, trainer, offline tool and client, with the bundled model. About 1 GB, of it LibTorch 0.6.
#
#   docker build -t sparsefusion .
#   docker run --rm -p 127.0.0.1:8000:8000 -v models:/models sparsefusion
#
# Behind a mirror: a BASE_IMAGE whose apt is set to it, and --build-arg PIP_INDEX_URL=...; proxies as docker does always.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV SPARSEFUSION_CACHE=/opt/sparsefusion
WORKDIR /src
# Dependencies first: they change seldom, and this layer is kept while our sources change.
COPY scripts/setup scripts/setup
COPY scripts/pins scripts/pins
RUN scripts/setup --serve
COPY . .
RUN cmake --preset release -DSF_TESTS=OFF -DSF_UNITY=ON "-DSF_PARTS=engine;proto;trainer;server;client" \
 && cmake --build --preset release -j "$(nproc)"
RUN deploy/stage-image build/release /stage

FROM ${BASE_IMAGE} AS runtime
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
COPY --from=build /stage/packages.txt /usr/local/share/sparsefusion/packages.txt
# hadolint ignore=DL3008  # the versions are the base image's release
RUN apt-get update -qq \
 && xargs -a /usr/local/share/sparsefusion/packages.txt env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
 && install -d -o 10001 -g 10001 /models /models/store
COPY --from=build /stage/root/ /
ENV HOME=/tmp
USER 10001:10001
VOLUME /models
EXPOSE 8000 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --retries=3 --start-period=120s CMD ["/usr/local/bin/sparsefusion", "health", "--ready"]
ENTRYPOINT ["/usr/local/bin/sparsefusion-server"]
CMD ["--model=/models/store", "--seed-model=/usr/local/share/sparsefusion/models/demo", "--host=0.0.0.0"]
