<?php
// Usage: php wordpress.php WORDPRESS THEME POSTS.json -- installs the blog and its posts into the database of wp-config.php.
define('WP_INSTALLING', true);
$_SERVER['HTTP_HOST'] = 'gauge.example';
[, $home, $theme, $posts] = $argv;
require "$home/wp-load.php";
require ABSPATH . 'wp-admin/includes/upgrade.php';
$blog = json_decode(file_get_contents($posts), true);
wp_install($blog['title'], 'maud', 'maud@gauge.example', true, '', 'secret');
update_option('blogdescription', $blog['blurb']);
update_option('permalink_structure', '/%year%/%monthnum%/%postname%/');
update_option('posts_per_page', 8);
update_option('rss_use_excerpt', $blog['summaries'] ? 1 : 0);
update_option('timezone_string', 'UTC');
switch_theme($theme);
kses_remove_filters();
foreach (get_posts(['post_type' => ['post', 'page'], 'numberposts' => -1, 'post_status' => 'any']) as $old) {
    wp_delete_post($old->ID, true);
}
$common = ['post_author' => 1, 'post_status' => 'publish'];
wp_update_user(['ID' => 1, 'display_name' => $blog['author'], 'description' => $blog['about']]);
wp_insert_post($common + ['post_type' => 'page', 'post_name' => 'about', 'post_title' => 'About', 'post_content' => "<p>{$blog['about']}</p>"]);
foreach ($blog['posts'] as $post) {
    $id = wp_insert_post(wp_slash($common + [
        'post_title' => $post['title'],
        'post_name' => $post['slug'],
        'post_date' => "{$post['day']} 09:30:00",
        'post_content' => $post['html'],
        'tags_input' => $post['tags'],
    ]));
    foreach ($post['comments'] as $said) {
        wp_insert_comment(wp_slash([
            'comment_post_ID' => $id,
            'comment_author' => $said['name'],
            'comment_content' => $said['text'],
            'comment_date' => "{$said['date']} 10:12:00",
            'comment_approved' => 1,
        ]));
    }
}
flush_rewrite_rules();
