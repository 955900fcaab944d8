#include "command_line.h"

#include "connection.h"
#include "stele/backends.h"
#include "stele/types.h"

namespace stele::cli {

EventStore Context::open_store() const {
  return stele::open(connection_url(url_flag));
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

void add_tenant(CLI::App& command, std::string& tenant) {
  tenant = default_tenant;
  command.add_option("--tenant", tenant, "The tenant; \"default\" unless given")->type_name("TENANT");
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
