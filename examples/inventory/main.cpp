// A read model that follows the log: appends a file's events while a projection runs, compares what it has made of them
// with the log, builds it anew, and compares again. May be run as often as one likes on the same store.
//
//     inventory URL EVENTS.ndjson
#include <stele/backends.h>
#include <stele/event_json.h>
#include <stele/stele.h>
#include <stele/url.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>

#include "inventory.h"

namespace {

/// Each line is a command of its own, so a line that was appended before is not appended again.
int append_file(stele::EventStore& store, const char* path) {
  std::ifstream file(path);
  if (!file) {
    std::cerr << path << ": cannot be read\n";
    std::exit(1);
  }
  int appended = 0;
  for (std::string line; std::getline(file, line);) {
    const stele::ImportedEvent imported = stele::parse_event_line(line);
    stele::AppendRequest request;
    request.streams.push_back({imported.stream, stele::ExpectedVersion::any(), {imported.event}});
    request.command.emplace();
    request.command->key = imported.command_key().value();
    request.command->type = "Record";
    if (!store.append(request).or_throw().replayed()) ++appended;
  }
  return appended;
}

/// On SQL Server a user's tables come to lie in the user's schema, unless they name another: here, the store's.
std::string prefix_of(const char* url) {
  const stele::Url parsed = stele::Url::parse(url);
  return parsed.scheme == "mssql" ? parsed.param("schema").value_or("stele") + "." : "";
}

void compare(stele::EventStore& store, const std::string& prefix, const char* when) {
  const inventory::Inventory shown = inventory::read_model(store, prefix);
  if (shown != inventory::recomputed(store)) {
    std::cerr << "not as expected " << when << ": the read model and the log differ\n";
    std::exit(1);
  }
  std::cout << when << ": " << shown.size() << " items, as the log says\n";
}

void run(const char* url, const char* events) {
  stele::EventStore store = stele::open(url, {.migrate = true});
  const std::string prefix = prefix_of(url);
  const auto stock = std::make_shared<inventory::InventoryStock>(prefix);

  stele::ProjectionOptions options;
  options.trouble = [](const stele::Error& error) { std::cerr << error.what() << '\n'; };
  stele::ProjectionRunner runner(store, stock, options);
  std::cout << "appended: " << append_file(store, events) << '\n';

  // Everything that is in the log now has to get there; live, that takes milliseconds.
  if (!runner.wait_for(store.log_end(), std::chrono::seconds(60))) {
    if (const auto error = runner.error()) throw stele::Error(*error);
    std::cerr << "the projection does not catch up\n";
    std::exit(1);
  }
  compare(store, prefix, "live");

  const std::int32_t generation = stele::rebuild_projection(store, *stock, options);
  std::cout << "rebuilt as generation " << generation << '\n';
  compare(store, prefix, "rebuilt");
  runner.stop();

  for (const auto& [key, row] : inventory::read_model(store, prefix)) {
    std::cout << key.first << '\t' << key.second << '\t' << row.quantity << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: inventory URL EVENTS.ndjson\n";
    return 2;
  }
  try {
    run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
