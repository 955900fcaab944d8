// The table of cases. Each topic has a file and a function that gives its cases.
#pragma once

#include <span>
#include <string_view>

#include "stele/testing/harness.h"

namespace stele::testing {

struct Case {
  std::string_view guarantee;  // "G3", or "API" for what only the headers promise.
  std::string_view name;
  Capability needs;
  void (*body)(Harness&);

  constexpr Case(std::string_view guarantee_, std::string_view name_, void (*body_)(Harness&))
      : Case(guarantee_, name_, Capability::none, body_) {}
  constexpr Case(std::string_view guarantee_, std::string_view name_, Capability needs_, void (*body_)(Harness&))
      : guarantee(guarantee_), name(name_), needs(needs_), body(body_) {}
};

inline constexpr Capability needs_read_models = Capability::read_models;

std::span<const Case> append_cases();
std::span<const Case> archive_cases();
std::span<const Case> expected_version_cases();
std::span<const Case> command_cases();
std::span<const Case> event_id_cases();
std::span<const Case> read_stream_cases();
std::span<const Case> read_log_cases();
std::span<const Case> filter_cases();
std::span<const Case> stream_cases();
std::span<const Case> fidelity_cases();
std::span<const Case> key_cases();
std::span<const Case> limit_cases();
std::span<const Case> time_cases();
std::span<const Case> ordering_cases();
std::span<const Case> concurrency_cases();
std::span<const Case> immutability_cases();
std::span<const Case> migration_cases();
std::span<const Case> lifecycle_cases();
std::span<const Case> verify_cases();
std::span<const Case> driver_contract_cases();
std::span<const Case> aggregate_cases();
std::span<const Case> subscription_cases();
std::span<const Case> tenant_cases();
std::span<const Case> trace_cases();
std::span<const Case> upcaster_cases();
std::span<const Case> model_cases();
std::span<const Case> snapshot_cases();
std::span<const Case> schema_cases();
std::span<const Case> encryption_cases();
std::span<const Case> chain_cases();
std::span<const Case> checkpoint_cases();
std::span<const Case> projection_cases();
std::span<const Case> governance_cases();

}  // namespace stele::testing
