# One target per module: every .cpp in a module's directory belongs to it, and it may include only what it links
# (tests/tidy checks the includes against tests/tidy/layers.txt).

add_library(vsync_options INTERFACE)
target_include_directories(vsync_options INTERFACE ${CMAKE_SOURCE_DIR}/lib)
target_compile_options(vsync_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
                       -Woverloaded-virtual $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op
                       -Wno-maybe-uninitialized>) # GCC 12 takes an empty std::optional for an uninitialised one
if(VSYNC_WERROR)
  target_compile_options(vsync_options INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo)$")
  target_compile_options(vsync_options INTERFACE -fstack-protector-strong -fstack-clash-protection -fcf-protection
                         -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS)
  target_link_options(vsync_options INTERFACE -Wl,-z,relro,-z,now)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

# vsync_module(NAME [LINK target...]): static library vsync_NAME of this directory's .cpp files.
function(vsync_module name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(vsync_${name} STATIC ${sources})
    target_link_libraries(vsync_${name} PUBLIC ${arg_LINK} vsync_options)
  else()
    add_library(vsync_${name} INTERFACE)
    target_link_libraries(vsync_${name} INTERFACE ${arg_LINK} vsync_options)
  endif()
  set_property(GLOBAL APPEND PROPERTY vsync_sources_${name} ${sources})
  if(name MATCHES "^core_")
    set_property(GLOBAL APPEND PROPERTY vsync_core_sources ${sources})
  endif()
endfunction()

# vsync_proto(NAME file.proto): static library of generated code; its warnings are not ours.
function(vsync_proto name proto)
  set(out ${CMAKE_BINARY_DIR}/proto)
  file(MAKE_DIRECTORY ${out})
  string(REGEX REPLACE "\\.proto$" "" stem ${proto})
  add_custom_command(
    OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h
    COMMAND protobuf::protoc --cpp_out=${out} -I ${CMAKE_SOURCE_DIR}/proto ${CMAKE_SOURCE_DIR}/proto/${proto}
    DEPENDS ${CMAKE_SOURCE_DIR}/proto/${proto} VERBATIM)
  add_library(${name} STATIC ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
  target_include_directories(${name} SYSTEM PUBLIC ${out})
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf)
  set_target_properties(${name} PROPERTIES CXX_CLANG_TIDY "")
endfunction()
