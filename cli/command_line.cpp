#include "command_line.h"

#include <algorithm>

#include "connection.h"
#include "exit_codes.h"
#include "stele/backends.h"
#include "stele/key_provider.h"
#include "stele/types.h"
#include "stele/url.h"

namespace stele::cli {

namespace {

OpenOptions options_of(const Context& context) {
  OpenOptions options;
  if (context.clearance) {
    const std::optional<Clearance> clearance = parse_clearance(*context.clearance);
    if (!clearance) {
      throw UsageError("--clearance: \"" + *context.clearance + "\" is none of none, partial, full, secrets");
    }
    options.clearance = *clearance;
  }
  return options;
}

}  // namespace

EventStore Context::open_store() const {
  OpenOptions options = options_of(*this);
  if (const std::string keys = key_provider(keys_flag); !keys.empty()) options.keys = open_key_provider(keys);
  return stele::open(connection_url(url_flag), options);
}

EventStore Context::open_store_as_stored() const {
  return open_other_as_stored(connection_url(url_flag));
}

EventStore Context::open_other_as_stored(const std::string& url) const {
  return stele::open(url, options_of(*this));
}

CLI::Option* add_value(CLI::App& command, const std::string& name, std::optional<std::string>& value,
                       const std::string& help, const std::string& placeholder) {
  return command
      .add_option_function<std::string>(
          name, [&value](const std::string& text) { value = text; }, help)
      ->type_name(placeholder);
}

CLI::Option* add_values(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                        const std::string& help, const std::string& placeholder) {
  return command.add_option(name, values, help)->allow_extra_args(false)->type_name(placeholder);
}

void Context::default_to_tenant_of_url() const {
  std::optional<std::string> of_url;
  try {
    of_url = Url::parse(connection_url(url_flag)).param("tenant");
  } catch (const std::exception&) {  // Opening the store says what is wrong with it.
  }
  if (!of_url) return;
  for (const TenantOption& each : tenants) {
    // Commands of one kind may share the variable.
    const bool given = std::any_of(tenants.begin(), tenants.end(), [&](const TenantOption& other) {
      return other.tenant == each.tenant && other.option->count() > 0;
    });
    if (!given) *each.tenant = *of_url;
  }
}

void add_tenant(CLI::App& command, Context& context, std::string& tenant) {
  tenant = default_tenant;
  const CLI::Option* option =
      command.add_option("--tenant", tenant, "The tenant; the URL's, or \"default\", unless given")
          ->type_name("TENANT");
  context.tenants.push_back({option, &tenant});
}

Position last_position(EventStore& store) {
  LogReadOptions options;
  options.direction = Direction::backwards;
  options.limit = 1;
  EventReader reader = store.read_log(options);
  const RecordedEvent* last = reader.next();
  return last == nullptr ? Position() : last->position;
}

}  // namespace stele::cli
