// What stands between core and every driver: schemas when something is written, clearances and keys.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "event_type_catalog.h"
#include "key_ring.h"
#include "stele/driver/forwarding_driver.h"
#include "stele/redaction.h"

namespace stele::detail {

/// An event's attribute that names the key of what is encrypted in it. Those who look for a subject's events find them
/// by it.
inline constexpr std::string_view key_attribute = "stele.key";
/// Attributes whose names begin so are the store's own.
inline constexpr std::string_view own_attributes = "stele.";

struct GovernedDriverOptions {
  Clearance clearance = Clearance::secrets;
  std::shared_ptr<KeyProvider> keys;  ///< None: what is encrypted stays so, and nothing can be encrypted.
};

/// Whatever reads or writes through it, whichever way, gets what its clearance and keys allow, and writes what the
/// schemas allow. Backends know nothing of all this: they store what they are given.
class GovernedDriver final : public driver::ForwardingDriver {
 public:
  GovernedDriver(std::shared_ptr<driver::Driver> inner, GovernedDriverOptions options);

  std::vector<driver::AppendAnswer> append(std::span<const driver::PreparedAppend> appends) override;
  driver::AppendAnswer append_with_hook(const driver::PreparedAppend& append, const driver::AppendHook& hook) override;

  void read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) override;
  void read_log(const driver::LogPageRequest& request, driver::EventPage& page) override;
  std::optional<RecordedEvent> find_event(const Uuid& event_id) override;
  std::optional<CommandRecord> find_command(const CommandKey& key) override;
  std::optional<CommandRecord> find_command(const Uuid& command_id) override;
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) override;

  bool save_snapshot(const Snapshot& snapshot) override;
  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> schema_version) override;

  bool add_schema(const EventSchema& schema) override;
  bool remove_schema(const std::string& tenant, const EventForm& form) override;
  void set_type_rules(const EventTypeRules& rules) override;
  bool destroy_subject_key(const std::string& tenant, const Uuid& key_id) override;

  bool has_keys() const noexcept { return ring_ != nullptr; }
  /// Every key is asked for in the database again.
  void ask_for_keys_anew() {
    if (ring_ != nullptr) ring_->ask_anew();
  }

 private:
  class Sealed;

  template <class Append>
  driver::AppendAnswer sealed_again(const driver::PreparedAppend& append, Append to_inner);

  bool sees_all() const noexcept { return clearance_ == Clearance::secrets; }
  void check_schemas(const driver::PreparedAppend& append, std::vector<std::string>& warnings);
  bool was_appended_before(const driver::PreparedAppend& append);
  /// How many from the first on can be read; throws when it is none.
  std::size_t reveal(std::span<RecordedEvent*> events, bool as_stored);
  void reveal(driver::EventPage& page, bool as_stored);
  void reveal(RecordedEvent& event);
  static void decrypt(RecordedEvent& event, const KeySource& keys);
  void withhold(RecordedEvent& event);
  void reveal(CommandRecord& command);

  const Clearance clearance_;
  const std::unique_ptr<KeyRing> ring_;
  EventTypeCatalog catalog_;
};

}  // namespace stele::detail
