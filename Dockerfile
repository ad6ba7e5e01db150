# syntax=docker/dockerfile:1

# The version is that of rust-toolchain.toml, and the Debian release that of the image below: the program is linked with
# its libc.
FROM rust:1.95.0-bookworm AS build
WORKDIR /tidemill
COPY . .
# Without lines of source in backtraces the program is a quarter as large; the names of functions stay.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/tidemill/target \
    cargo build --release --locked --package tidemill --bin tidemill \
    && install -D target/release/tidemill /image/usr/local/bin/tidemill \
    && install -D --mode=644 packaging/deploy.yaml /image/etc/tidemill/deploy.yaml \
    && install -d --mode=700 /data

# No shell and no package manager: libc, libgcc and the certificates of the world.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image /
COPY --from=build --chown=nonroot:nonroot /data /data
# nonroot, as a number: so a cluster can see that it is not root.
USER 65532:65532
VOLUME /data
EXPOSE 4567
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/tidemill", "health"]
ENTRYPOINT ["/usr/local/bin/tidemill"]
# --insecure says what it is: the node asks for no credentials, so whoever reaches the port may read and write. Inside a
# container it must listen beyond loopback all the same; publish the port to those alone who may use it.
CMD ["serve", "--manifest", "/etc/tidemill/deploy.yaml", "--data", "/data", "--listen", "0.0.0.0:4567", "--insecure"]
