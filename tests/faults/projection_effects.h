// A read model in a table, and the same computed from the log.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "stele/event_store.h"
#include "stele/projection.h"

namespace stele::testing {

/// How many events a stream has had, and the sum of their positions.
struct StreamSum {
  std::int64_t events = 0;
  std::int64_t positions = 0;
  friend bool operator==(const StreamSum&, const StreamSum&) = default;
};
using StreamSums = std::map<std::string, StreamSum>;

/// What the names of tables begin with in a store at this URL: on SQL Server, where a user's tables come to lie in a
/// schema of the user's, the store's schema.
std::string tables_of(const std::string& url);

/// Writes through SOCI, as an application does.
class SumsProjection final : public Projection {
 public:
  explicit SumsProjection(std::string name = "sums", std::string tables = {})
      : name_(std::move(name)), tables_(std::move(tables)) {}
  std::function<void()> applying;  ///< Called behind each event that was applied, before its commit.

  std::string name() const override { return name_; }
  void create(ProjectionContext& context) override;
  void apply(const RecordedEvent& event, ProjectionContext& context) override;
  void drop(ProjectionContext& context) override;

 private:
  std::string table(const ProjectionContext& context) const;

  const std::string name_;
  const std::string tables_;
};

struct SumsState {
  StreamSums sums;
  Position checkpoint;
};

/// The read model and the checkpoint that belongs to it.
SumsState read_sums(EventStore& store, const std::string& name = "sums", const std::string& tables = {});
/// What it has to be.
StreamSums computed_sums(EventStore& store, Position up_to);

}  // namespace stele::testing
