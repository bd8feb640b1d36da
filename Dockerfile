# The product in one image: the server by default, the worker and the command line by their names.
#
#   docker build -t consent-ledger .
#   docker run consent-ledger worker
#   docker run consent-ledger ledgerctl doctor
#
# It runs as an ordinary user on a read-only file system; what it keeps lies in the two volumes below.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY nest-cli.json tsconfig.json tsconfig.build.json ./
COPY tools tools
COPY libs libs
COPY apps apps
RUN npm run build

# What runs, without the tools that made it and without the embedded PostgreSQL: here it has a database of its own.
FROM node:24-bookworm-slim AS packages
WORKDIR /packages
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    PORT=3000 \
    HOST=0.0.0.0 \
    LEDGER_DATA_DIR=/var/lib/consent-ledger \
    VAULT_KEY_FILE=/var/lib/consent-ledger-keys/epoch-keys.json
WORKDIR /opt/consent-ledger
COPY --from=packages /packages/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE NOTICE ./
COPY docker/consent-ledger /usr/local/bin/consent-ledger
RUN install -d -o node -g node -m 700 /var/lib/consent-ledger /var/lib/consent-ledger-keys
USER node
VOLUME ["/var/lib/consent-ledger", "/var/lib/consent-ledger-keys"]
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=6 CMD ["consent-ledger", "healthy"]
ENTRYPOINT ["consent-ledger"]
CMD ["server"]
