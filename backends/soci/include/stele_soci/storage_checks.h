// Checking what is stored: keeping findings, comparing the schema with the migrations', asking for rows that break a
// rule. The queries are the backends' own.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "stele/error.h"
#include "stele/verify.h"
#include "stele_soci/schema_objects.h"

namespace stele::soci_backend {

/// Writes into a report, up to the number of violations that was asked for.
class Findings {
 public:
  Findings(const VerifyOptions& options, VerifyReport& report) noexcept : options_(options), report_(report) {}

  /// What is checked next, in words; or what cannot be, and why.
  void note(std::string check) { report_.checks.push_back(std::move(check)); }

  bool full() const noexcept { return report_.violations.size() >= options_.max_violations; }

  void add(std::string_view guarantee, std::string_view where, std::string_view what) {
    if (!full()) report_.violations.push_back({std::string(guarantee), std::string(where), std::string(what)});
  }

 private:
  const VerifyOptions& options_;
  VerifyReport& report_;
};

/// Runs a check. A damaged store answers some with an error: that is a finding, and the other checks go on. A check
/// must therefore leave no failed transaction behind. What says nothing of the store (busy, a lost connection) is
/// thrown on.
inline void guarded(Findings& findings, std::string_view where, const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& error) {
    switch (error.code()) {
      case ErrorCode::corrupt:
      case ErrorCode::internal:
      case ErrorCode::schema_outdated:       // A table or a function that is not there.
      case ErrorCode::rejected_by_database:  // A value that is not what its column is for.
        findings.add("storage", where, "cannot be checked: " + error.message());
        return;
      default: throw;
    }
  }
}

/// The triggers are what makes the log append-only: one that was dropped is a hole, whatever the rows say now.
inline void compare_schema(Findings& findings, const SchemaObjects& actual, const SchemaObjects& expected) {
  for (const auto& [name, definition] : actual) {
    // People may add tables, views and indexes of their own; a trigger could act on what is appended.
    if (name.starts_with("trigger ") && !expected.contains(name)) {
      findings.add("G8", name, "is not of the schema of the migrations");
    }
  }
  for (const auto& [name, definition] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end()) {
      findings.add("G8", name, "is missing from the schema");
    } else if (found->second != definition) {
      findings.add("G8", name, "differs from the schema of the migrations");
    }
  }
}

/// Something that is true of the rows of a sound store.
struct Rule {
  std::string_view guarantee;
  std::string_view holds;  ///< The rule.
  std::string_view fault;  ///< What is said of a row that breaks it.
};

/// The rules that are the same in each database.
namespace rules {
inline constexpr Rule tenant_and_type{"G1", "every event has its stream's tenant and type",
                                      "has another tenant or type than its stream"};
inline constexpr Rule stream_of_event{"G2", "every event belongs to a stream", "belongs to no stream"};
inline constexpr Rule head_of_stream{"G2", "every stream's head is its last event",
                                     "has a head that is not its last event"};
inline constexpr Rule attributes_of_event{"G4", "every event has all its attributes",
                                          "has not as many attributes as it was written with"};
inline constexpr Rule event_of_attribute{"G4", "every attribute belongs to an event",
                                         "is the position of an attribute and of no event"};
inline constexpr Rule command_of_event{"G5", "every event's command is recorded", "has a command that is not recorded"};
inline constexpr Rule events_of_command{"G5", "every command has the events of its outcome",
                                        "has not the events of its outcome"};
inline constexpr Rule given_positions{"G7", "no position is behind the highest that was given",
                                      "is behind the highest position given"};
}  // namespace rules

/// A rule with the query for what breaks it: one column, a text that says where ("position 7"), a row for each fault.
struct RowCheck {
  Rule rule;
  std::string_view sql;
};

/// Calls `row` with the first column of each row of a query, until the rows end or it returns false.
using EachText = std::function<void(std::string_view sql, const std::function<bool(std::string_view text)>& row)>;

inline void check_rows(Findings& findings, std::span<const RowCheck> checks, const EachText& each_text) {
  for (const RowCheck& check : checks) {
    const Rule& rule = check.rule;
    findings.note(std::string(rule.holds) + " (" + std::string(rule.guarantee) + ")");
    if (findings.full()) continue;
    guarded(findings, rule.holds, [&] {
      each_text(check.sql, [&](std::string_view where) {
        findings.add(rule.guarantee, where, rule.fault);
        return !findings.full();
      });
    });
  }
}

}  // namespace stele::soci_backend
