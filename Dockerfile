# The service without its development tools. See docs/docker.md.
ARG DENO_IMAGE=denoland/deno:2.9.6

# What the image holds besides the sources; small files whose content decides what is built again.
FROM ${DENO_IMAGE} AS prepare
WORKDIR /checkout
COPY deno.json ./
COPY deploy/docker/prepare.ts deploy/docker/
COPY gen gen
COPY src src
RUN deno run --no-config --no-lock --allow-read=. --allow-write=. deploy/docker/prepare.ts

# The packages that the service imports. This layer is reused while only sources change.
FROM ${DENO_IMAGE} AS packages
WORKDIR /app
COPY deno.lock ./
COPY --from=prepare /checkout/packages/ ./
# The lock file holds more packages than these, so it is shortened: its versions and checksums hold.
RUN deno install --quiet --frozen=false --entrypoint packages.ts

FROM ${DENO_IMAGE}
LABEL org.opencontainers.image.title="Treasury Service" \
      org.opencontainers.image.description="A service that never loses its PostgreSQL quietly" \
      org.opencontainers.image.licenses="MIT"
ENV DENO_NO_PROMPT=1 \
    DENO_NO_UPDATE_CHECK=1 \
    NO_COLOR=1 \
    PATH=/app/bin:$PATH
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=packages /app/deno.lock ./
COPY --from=prepare /checkout/image/ ./
COPY deploy/docker/healthcheck.ts bin/healthcheck
COPY migrations migrations
COPY gen gen
COPY src src
# Compiles the sources now rather than at each start.
RUN deno cache --quiet --frozen --no-remote $(find src -name '*.ts') && chown -R deno /deno-dir
USER deno
EXPOSE 8080
STOPSIGNAL SIGTERM
# Liveness: replacing a container does not repair its database.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["healthcheck", "livez"]
ENTRYPOINT ["/tini", "--"]
CMD ["start"]
