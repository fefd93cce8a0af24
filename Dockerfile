# The binary alone, on nothing. See configs/README.md for how to run it.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/heddle ./cmd/heddle && mkdir /out/data

FROM scratch
# For the key sets of identity providers.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/data /var/lib/heddle
COPY --from=build /out/heddle /usr/local/bin/heddle
COPY configs/heddle.yaml /etc/heddle/heddle.yaml
USER 65532:65532
VOLUME /var/lib/heddle
# Clients, and operators if admin.listen is opened.
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/heddle"]
CMD ["serve", "--config", "/etc/heddle/heddle.yaml"]
