# The daemon as an image: docker build -t mcp-server-postgres .
#   docker run -p 8808:8808 -v ./tokens.toml:/etc/mcp/tokens.toml:ro -e DATABASE_URL=postgres://… mcp-server-postgres
# It listens outside of its container, so it needs a file of tokens (`mcp-server-postgres token NAME` makes one).
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin mcp-server-postgres

# The C library, root certificates and an unprivileged user; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/mcp-server-postgres /usr/local/bin/mcp-server-postgres
COPY --from=build /src/LICENSE-MIT /src/LICENSE-APACHE /usr/share/doc/mcp-server-postgres/
# MCP_TOKENS_FILE is the name of a file that holds hashes; it is not a secret.
# hadolint ignore=DL3064
ENV MCP_HTTP_ADDR=0.0.0.0:8808 \
    MCP_TOKENS_FILE=/etc/mcp/tokens.toml
USER 65532:65532
WORKDIR /
EXPOSE 8808
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=5s CMD ["/usr/local/bin/mcp-server-postgres", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/mcp-server-postgres"]
CMD ["serve"]
