// A projection that is written in SQL, in a file: docs/sql_projections.md.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sql_statement.h"
#include "stele/projection.h"

namespace stele::cli {

/// Thread-safe: nothing changes after it was read.
class SqlProjection final : public Projection {
 public:
  /// `backend`: the name of the store's driver. Throws UsageError that names the file and the place in it, and
  /// Error (unsupported) for a backend without SQL.
  static std::shared_ptr<SqlProjection> read(const std::string& path, std::string_view backend);

  std::string name() const override { return name_; }
  LogFilter filter() const override { return filter_; }
  void create(ProjectionContext& context) override { execute(context, "create", create_, nullptr); }
  void apply(const RecordedEvent& event, ProjectionContext& context) override;
  void activate(ProjectionContext& context) override { execute(context, "activate", activate_, nullptr); }
  void drop(ProjectionContext& context) override { execute(context, "drop", drop_, nullptr); }

  const std::string& tenant() const noexcept { return tenant_; }
  std::int32_t parts() const noexcept { return parts_; }
  /// Whether each generation can have tables of its own, without which there is no rebuilding.
  bool names_generation() const noexcept;

 private:
  using Statements = std::vector<SqlStatement>;
  struct Reading;

  void execute(ProjectionContext& context, std::string_view place, const Statements& statements,
               const RecordedEvent* event) const;

  std::string path_;
  std::string name_;
  std::string tenant_;
  std::int32_t parts_ = 1;
  LogFilter filter_;
  Statements create_, activate_, drop_;
  std::map<std::string, Statements, std::less<>> on_;
};

}  // namespace stele::cli
