// Checks requests before any I/O, and completes appends with what the caller left out.
#pragma once

#include <map>
#include <optional>
#include <string_view>

#include "stele/append.h"
#include "stele/driver/driver.h"
#include "stele/read.h"
#include "stele/snapshot.h"
#include "stele/upcaster.h"

namespace stele::detail {

/// Throws invalid_argument or too_large that names the field.
void check_append(const AppendRequest& request);
void check_stream_key(const StreamKey& key);
void check_tenant(std::string_view tenant);
void check_command_key(const CommandKey& key);
void check_event_form(const EventForm& form);
void check_read(const StreamReadOptions& options);
void check_read(const LogReadOptions& options);
void check_list(const StreamListOptions& options);
void check_page_size(std::size_t limit);
void check_snapshot(const Snapshot& snapshot);
void check_find_snapshot(const StreamKey& stream, const std::optional<Version>& at,
                         const std::optional<std::int32_t>& schema_version);
void check_list(const SnapshotListOptions& options);
void check_deletion(const SnapshotDeletion& which);

/// Completes a request that check_append() accepted. The request must outlive the result.
driver::PreparedAppend prepare_append(const AppendRequest& request);

/// What the fingerprint is made of in the place of payloads that are to be encrypted.
struct FingerprintForms {
  std::map<const NewEvent*, Json> data{};
  std::optional<Json> command_data{};
};

/// What makes two requests the same one; of an append with a command.
driver::Fingerprint fingerprint_of(const driver::PreparedAppend& append, const FingerprintForms& forms = {});

/// Makes a second try find what the first one may have written: every id counts as given.
void look_for_earlier_try(driver::PreparedAppend& append) noexcept;

}  // namespace stele::detail
