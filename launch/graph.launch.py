"""The graph for ROS installations: `ros2 launch roman_moe graph.launch.py start:=6 lockstep:=false ...`.

Nodes, parameters and arguments come from config/graph.yaml, as for `roman-moe run`: nothing to keep in step here. A
node that ends, ends the launch, since the others would wait for it for ever: `roman-moe run --separate` restarts it.
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from roman_moe.nodes.bringup.graph import NodeSpec, load_description, parse_arguments, resolve

DESCRIPTION = load_description()


def generate_launch_description() -> LaunchDescription:
    """One launch argument for each argument of the graph, and the namespace that all nodes go into."""
    declared = [
        DeclareLaunchArgument(
            name,
            default_value=_text(argument.default),
            description=argument.description,
            choices=list(argument.choices) or None,
        )
        for name, argument in DESCRIPTION.arguments.items()
    ]
    namespace = DeclareLaunchArgument("namespace", default_value="", description="Namespace of the whole graph.")
    return LaunchDescription([*declared, namespace, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    texts = {name: LaunchConfiguration(name).perform(context) for name in DESCRIPTION.arguments}
    given = context.launch_configurations
    texts |= {name: given[former] for former, name in DESCRIPTION.renamed.items() if former in given}
    return [_node(spec) for spec in resolve(DESCRIPTION, parse_arguments(DESCRIPTION, texts))]


def _node(spec: NodeSpec) -> Node:
    # each with its type: launch would read the text "6" as a number
    parameters = {key: ParameterValue(value, value_type=type(value)) for key, value in spec.parameters.items()}
    return Node(
        package="roman_moe",
        executable=spec.executable,
        name=spec.name,
        namespace=LaunchConfiguration("namespace"),
        exec_name=spec.name,  # of the process in launch's own words: else "expert" for each of them
        parameters=[parameters],
        remappings=list(spec.remaps.items()),
        output="screen",
        on_exit=[Shutdown(reason=f"{spec.name} has ended")],
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
