# The Debian packages. Where each file goes is said in CMakeLists.txt; here is what the packages say about themselves.
set(debian ${CMAKE_CURRENT_SOURCE_DIR}/debian)

foreach(package daemon=vsyncd library=libvsync0 development=libvsync-dev)
  string(REPLACE "=" ";" package ${package})
  list(GET package 0 component)
  list(GET package 1 name)
  set(doc ${CMAKE_INSTALL_DATADIR}/doc/${name})
  install(FILES debian/copyright DESTINATION ${doc} COMPONENT ${component})
  vsync_compressed(${component} debian/changelog ${doc} changelog.Debian)
  vsync_compressed(${component} ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${doc} changelog)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_FILE_NAME DEB-DEFAULT)
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vsyncd)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own, as the first line of its description
set(CPACK_PACKAGE_CONTACT "The vsyncd authors <vsyncd@example.org>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_SET_DESTDIR ON) # /etc is absolute
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL daemon library development)

set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON) # of libvsync0, the only one with a library
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY >=)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_DAEMON_PACKAGE_SECTION admin)
set(CPACK_COMPONENT_DAEMON_DESCRIPTION "group membership daemon with virtually synchronous multicast
The vsyncd daemons of a cluster agree on one sequence of views (who is a
member, who leads) and give the local applications process groups with
virtually synchronous multicast: everybody who moves together from one view to
the next has delivered the same messages, in the same order, before.

This package contains the daemon and vsyncctl, which shows and steers it.")
set(CPACK_DEBIAN_DAEMON_PACKAGE_DEPENDS
    "init-system-helpers (>= 1.54~), systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)

set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "client library of vsyncd, process groups for applications
With libvsync an application joins process groups of the local vsyncd,
multicasts messages, and gets the group's views and messages in an order that
is the same everywhere.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${debian}/triggers)
install(FILES debian/libvsync0.lintian-overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME libvsync0
        COMPONENT library)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libvsync0 (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "libprotobuf-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "client library of vsyncd, header and build files
Header, static library, CMake and pkg-config files, manual and an example for
applications that use libvsync. The static library needs libprotobuf-dev.")

include(CPack)
