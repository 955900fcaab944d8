#include "filter_arguments.h"

#include "arguments.h"

namespace stele::cli {

CLI::Option* add_filter(CLI::App& command, FilterArguments& a) {
  add_values(command, "--stream-type", a.stream_types, "Of this stream type; may be repeated: any of them", "TYPE");
  add_values(command, "--type", a.event_types, "Of this event type; may be repeated: any of them", "TYPE");
  add_value(command, "--source", a.source, "From this producing system", "SOURCE");
  add_value(command, "--since", a.since, "Recorded at or after", "TIME");
  CLI::Option* until = add_value(command, "--until", a.until, "Recorded before", "TIME");
  add_value(command, "--occurred-since", a.occurred_since, "Occurred at or after", "TIME");
  add_value(command, "--occurred-until", a.occurred_until, "Occurred before", "TIME");
  add_value(command, "--correlation", a.correlation, "With this correlation id", "UUID");
  add_value(command, "--causation", a.causation, "With this causation id", "UUID");
  add_value(command, "--actor", a.actor, "By this actor, or by all of a type", "TYPE[:ID]");
  add_values(command, "--attribute", a.attributes, "With this attribute; may be repeated: all of them", "NAME=VALUE");
  add_value(command, "--valid-at", a.valid_at, "Valid at this business time", "TIME");
  add_value(command, "--tenant", a.tenant, "Of this tenant; of all unless given", "TENANT");
  return until;
}

LogFilter filter_of(const FilterArguments& arguments) {
  LogFilter filter;
  filter.tenant = arguments.tenant;
  filter.stream_types = arguments.stream_types;
  filter.event_types = arguments.event_types;
  filter.source = arguments.source;
  if (arguments.actor) {
    // A whole class of actors, or one.
    if (const std::optional<ActorType> type = parse_actor_type(*arguments.actor)) {
      filter.actor_type = type;
    } else {
      const Actor actor = parse_actor("--actor", *arguments.actor);
      filter.actor_type = actor.type;
      filter.actor_id = actor.id;
    }
  }
  if (arguments.correlation) filter.correlation_id = parse_uuid("--correlation", *arguments.correlation);
  if (arguments.causation) filter.causation_id = parse_uuid("--causation", *arguments.causation);
  if (arguments.since) filter.recorded_from = parse_time("--since", *arguments.since);
  if (arguments.until) filter.recorded_until = parse_time("--until", *arguments.until);
  if (arguments.occurred_since) filter.occurred_from = parse_time("--occurred-since", *arguments.occurred_since);
  if (arguments.occurred_until) filter.occurred_until = parse_time("--occurred-until", *arguments.occurred_until);
  if (arguments.valid_at) filter.valid_at = parse_time("--valid-at", *arguments.valid_at);
  for (const std::string& attribute : arguments.attributes) {
    filter.attributes.push_back(parse_pair("--attribute", attribute, '='));
  }
  return filter;
}

}  // namespace stele::cli
