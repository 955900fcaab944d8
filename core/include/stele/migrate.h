// Bringing a database's schema to this program's version, and back.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stele/registry.h"
#include "stele/timestamp.h"

namespace stele {

namespace driver {
class MigrationStore;
}

enum class MigrationState : std::uint8_t {
  pending,   ///< Known here, not applied.
  applied,   ///< Applied, and as this program carries it.
  modified,  ///< Applied with another content than this program carries.
  unknown,   ///< Applied by a newer program; not known here.
};

STELE_API std::string_view to_string(MigrationState state) noexcept;

struct MigrationInfo {
  int number = 0;
  std::string title;
  MigrationState state = MigrationState::pending;
  std::optional<Timestamp> applied_at;
  bool down_loses_data = false;
};

struct MigrationStatus {
  int current = 0;                        ///< The highest number applied; 0 for none.
  int latest = 0;                         ///< The highest number this program knows.
  std::vector<MigrationInfo> migrations;  ///< By number.
  bool up_to_date() const noexcept { return current == latest; }
};

/// A step that was made, or that a dry run would make.
struct MigrationStepInfo {
  int number = 0;
  std::string title;
  bool up = true;
  bool loses_data = false;
  std::chrono::milliseconds duration{0};
};

struct MigrateOptions {
  std::optional<int> to{};       ///< Stop when this number is current. 0: before the first (down only).
  std::optional<int> steps{};    ///< At most so many steps. Default: all for up, one for down.
  bool dry_run = false;          ///< Only say what would be done.
  bool allow_data_loss = false;  ///< Without it, down refuses a step that drops data (invalid_argument).
  std::function<void(const MigrationStepInfo&)> on_step{};  ///< Called after each step.
};

/// Migrates one database. Safe for many processes at once: each step holds a lock of the database, and whoever comes
/// second finds it done (the step is then not reported). Each step and its row of history are one transaction: after a
/// failure the database is at the version before the failed step. Use by one thread at a time.
class STELE_API Migrator {
 public:
  /// The store must outlive this.
  explicit Migrator(driver::MigrationStore& store) noexcept : store_(&store) {}

  /// Reads only. Throws nothing for modified or unknown migrations: it shows them.
  MigrationStatus status() const;

  /// Applies what is pending. Throws checksum_mismatch for an applied migration that was edited, schema_too_new for one
  /// this program does not know, migration_failed with script and line, busy when another process holds the lock too
  /// long.
  std::vector<MigrationStepInfo> up(const MigrateOptions& options = {});

  /// Undoes the last steps. Throws as up() does.
  std::vector<MigrationStepInfo> down(const MigrateOptions& options = {});

  /// Throws schema_outdated, schema_too_new or checksum_mismatch unless the database is exactly as this program
  /// expects.
  void require_current() const;

 private:
  driver::MigrationStore* store_;
};

}  // namespace stele
