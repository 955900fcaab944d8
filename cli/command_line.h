// The commands: each adds itself to the command line, and hands over what to do once that was read as a whole.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stele/event_store.h"

namespace stele::cli {

/// What every command shares.
struct Context {
  std::string url_flag;
  bool json = false;
  bool quiet = false;
  std::string keys_flag;
  std::optional<std::string> clearance;
  std::function<int()> action;  ///< The chosen command; returns the exit code.

  /// Opens the database that the user means, which has to exist and be up to date.
  EventStore open_store() const;
  /// Without keys: what is encrypted stays so.
  EventStore open_store_as_stored() const;
  /// The same of another database.
  EventStore open_other_as_stored(const std::string& url) const;

  struct TenantOption {
    const CLI::Option* option;
    std::string* tenant;
  };
  std::vector<TenantOption> tenants;  ///< Of all commands.
  /// Where the URL is for one tenant alone, that is the one unless --tenant says otherwise.
  void default_to_tenant_of_url() const;
};

/// An option that takes one value, given at most once; `value` stays empty (nullopt) when it is absent. An empty text
/// is a value, which CLI11's own handling of optionals loses.
CLI::Option* add_value(CLI::App& command, const std::string& name, std::optional<std::string>& value,
                       const std::string& help, const std::string& placeholder);

/// The same, given any number of times, one value each time.
CLI::Option* add_values(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                        const std::string& help, const std::string& placeholder);

/// Adds --tenant, which has a default.
void add_tenant(CLI::App& command, Context& context, std::string& tenant);

/// Of the last event in the log; 0 when there is none.
Position last_position(EventStore& store);

void add_migrate(CLI::App& app, Context& context);
void add_append(CLI::App& app, Context& context);
void add_read(CLI::App& app, Context& context);
void add_log(CLI::App& app, Context& context);
void add_streams(CLI::App& app, Context& context);
void add_trace(CLI::App& app, Context& context);
void add_command(CLI::App& app, Context& context);
void add_import(CLI::App& app, Context& context);
void add_export(CLI::App& app, Context& context);
void add_copy(CLI::App& app, Context& context);
void add_retention(CLI::App& app, Context& context);
void add_archive(CLI::App& app, Context& context);
void add_stats(CLI::App& app, Context& context);
void add_schema(CLI::App& app, Context& context);
void add_rules(CLI::App& app, Context& context);
void add_keys(CLI::App& app, Context& context);
void add_seal(CLI::App& app, Context& context);
void add_snapshot(CLI::App& app, Context& context);
void add_projection(CLI::App& app, Context& context);
void add_relay(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_roles(CLI::App& app, Context& context);
void add_tenants(CLI::App& app, Context& context);

}  // namespace stele::cli
