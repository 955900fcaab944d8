// The limits of every backend, checked in core before any I/O. Byte counts are of UTF-8.
#pragma once

#include <cstddef>

namespace stele::limits {

inline constexpr std::size_t tenant_id_bytes = 64;
inline constexpr std::size_t stream_type_bytes = 64;
inline constexpr std::size_t stream_id_bytes = 255;
inline constexpr std::size_t event_type_bytes = 128;
inline constexpr std::size_t command_type_bytes = 128;
inline constexpr std::size_t source_bytes = 64;
inline constexpr std::size_t request_id_bytes = 255;
inline constexpr std::size_t idempotency_key_bytes = 255;
inline constexpr std::size_t actor_id_bytes = 255;
inline constexpr std::size_t attribute_name_bytes = 64;
inline constexpr std::size_t attribute_value_bytes = 255;
inline constexpr std::size_t attributes_per_event = 32;
inline constexpr std::size_t subject_bytes = 255;  ///< Whose data it is; see PersonalData.

inline constexpr std::size_t data_bytes = 16u << 20;    ///< One event's or command's `data`.
inline constexpr std::size_t context_bytes = 1u << 20;  ///< Each of metadata, policy_context, model_context, display.
inline constexpr std::size_t append_bytes = 64u << 20;  ///< All JSON of one append.
inline constexpr std::size_t events_per_append = 20'000;
inline constexpr std::size_t streams_per_append = 1'000;  ///< Appended to and checked, together.

inline constexpr std::size_t wrapped_key_bytes = 4'096;
inline constexpr std::size_t master_key_id_bytes = 128;

inline constexpr std::size_t schema_bytes = 1u << 20;  ///< A JSON Schema's text.

inline constexpr std::size_t json_depth = 100;
inline constexpr std::size_t json_number_length = 1'000;

}  // namespace stele::limits
