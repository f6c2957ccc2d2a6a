# The demonstration, on wheels alone. In the checkout:
#   docker build -f docker/demo.Dockerfile -t roman-moe-demo .
#   mkdir -p out && docker run --rm -v "$PWD/out:/home/roman/out" --user "$(id -u):$(id -g)" roman-moe-demo
FROM python:3.13-slim-trixie AS build
COPY . /src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist /src

FROM python:3.13-slim-trixie
# Mesa's renderer: pictures without a display or a GPU
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libegl1 libgl1 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /dist /dist
COPY constraints.txt /dist/
RUN pip install --no-cache-dir --constraint /dist/constraints.txt "$(echo /dist/*.whl)[demo]"
ENV HOME=/home/roman
RUN mkdir --mode=777 "$HOME"
WORKDIR /home/roman
USER 1000
ENTRYPOINT ["roman-moe"]
CMD ["demo"]
