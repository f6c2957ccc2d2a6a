# A robot's side: the controller's graph beside a robot's ROS, without simulator and PyTorch. In the checkout:
#   docker build -f docker/robot.Dockerfile --build-arg ROS_DISTRO=jazzy -t roman-moe-robot .
#   docker run --rm --network host roman-moe-robot run --arm servo --config config/arms/franka.yaml --read-only
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-core AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip python3-setuptools python3-wheel \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN python3 -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist /src

FROM ros:${ROS_DISTRO}-ros-core
# The distribution's numpy, for which its messages are built; messages of grippers and of MoveIt Servo
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        python3-numpy python3-venv python3-yaml \
        "ros-${ROS_DISTRO}-control-msgs" "ros-${ROS_DISTRO}-moveit-msgs" \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /dist /dist
RUN python3 -m venv --system-site-packages /opt/roman \
    && /opt/roman/bin/pip install --no-cache-dir "$(echo /dist/*.whl)[cpu]"
ENV PATH=/opt/roman/bin:$PATH
# ros_entrypoint.sh, the base image's own, sources ROS
ENTRYPOINT ["/ros_entrypoint.sh", "roman-moe"]
CMD ["run", "--arm", "none"]
